import { type CallSettings, defaultCallSettings } from "../rpc/call-settings.ts";
import { ReplayBudget, type RetryEnvironment, RetryThrottle } from "../rpc/retry-policy.ts";
import type { ChannelOptions } from "./channel-options.ts";
import { methodConfigOf, type ServiceConfig } from "./service-config.ts";

const defaultCallRetryBytes = 1024 * 1024;
const defaultRetryBytes = 16 * 1024 * 1024;
/** Retries must not multiply an outage (gRFC A6). */
const defaultMaxAttempts = 5;

/** What the calls of a channel share when they are tried again. */
export function retryEnvironment(
  options: ChannelOptions,
  config: ServiceConfig | undefined,
  random: () => number,
): RetryEnvironment {
  const throttling = config?.retryThrottling;
  return {
    throttle: throttling === undefined ? undefined : new RetryThrottle(throttling.maxTokens, throttling.tokenRatio),
    budget: new ReplayBudget(options.retryBufferBytes ?? defaultRetryBytes),
    maxAttempts: options.maxAttempts ?? defaultMaxAttempts,
    maxCallBytes: options.callRetryBufferBytes ?? defaultCallRetryBytes,
    random,
  };
}

/** What holds for calls of the method at `path`: where options and service config both say something, the smaller limit. */
export function methodSettings(
  path: string,
  options: ChannelOptions,
  config: ServiceConfig | undefined,
  retries: RetryEnvironment,
): CallSettings {
  const method = config === undefined ? undefined : methodConfigOf(config, path);
  const { maxReceiveMessageBytes, maxSendMessageBytes, compression } = options;
  const isRetrying = options.retries !== false;
  return {
    maxReceiveBytes: least(maxReceiveMessageBytes ?? defaultCallSettings.maxReceiveBytes, method?.maxResponseBytes),
    maxSendBytes: least(maxSendMessageBytes ?? defaultCallSettings.maxSendBytes, method?.maxRequestBytes),
    timeoutMs: method?.timeoutMs ?? 0,
    waitForReady: method?.waitForReady ?? false,
    compression: compression ?? "identity",
    retry: isRetrying ? method?.retry : undefined,
    hedging: isRetrying ? method?.hedging : undefined,
    retries: isRetrying ? retries : undefined,
  };
}

function least(limit: number, other: number | undefined): number {
  return other === undefined ? limit : Math.min(limit, other);
}
