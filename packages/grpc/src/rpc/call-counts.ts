/** Whether the time of the last call and of the last message is kept: a look at the clock each, so only once it is asked for. */
export let keepsTimes = false;

/** From now on times are kept as well as numbers, in the whole process: channelz is served. */
export function keepTimes(): void {
  keepsTimes = true;
}

/** How many calls were started and how they ended, of a channel or over a connection. Counted always: integers on an object that is there anyway. */
export class CallCounts {
  started = 0;
  /** Ended with OK. */
  succeeded = 0;
  /** Ended with any other status. */
  failed = 0;
  /** When the last one was started, in milliseconds since 1970; 0 while times aren't kept. */
  lastStartedAt = 0;

  onStarted(): void {
    this.started++;
    if (keepsTimes) this.lastStartedAt = Date.now();
  }

  /** A call ended with `status`. */
  onEnded(status: number): void {
    if (status === 0) this.succeeded++;
    else this.failed++;
  }

  /** Takes in what `other` counted. */
  add(other: CallCounts): void {
    this.started += other.started;
    this.succeeded += other.succeeded;
    this.failed += other.failed;
    this.lastStartedAt = Math.max(this.lastStartedAt, other.lastStartedAt);
  }
}

/** The same for a connection, where streams and messages count too. */
export class ConnectionCounts extends CallCounts {
  /** Calls among the ended whose stream broke off before the server's last frame. */
  broken = 0;
  messagesSent = 0;
  messagesReceived = 0;
  /** As `lastStartedAt`. */
  lastSentAt = 0;
  lastReceivedAt = 0;

  onSent(): void {
    this.messagesSent++;
    if (keepsTimes) this.lastSentAt = Date.now();
  }

  onReceived(): void {
    this.messagesReceived++;
    if (keepsTimes) this.lastReceivedAt = Date.now();
  }
}
