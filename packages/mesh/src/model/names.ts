const label = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;
const labelKeyName = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;

/** Whether `name` is a DNS label (RFC 1123): namespaces, Services. */
export function isDnsLabel(name: string): boolean {
  return label.test(name);
}

/** Whether `name` is DNS labels joined by dots, at most 253 characters: the names of most resources, hosts. */
export function isDnsName(name: string): boolean {
  return name.length <= 253 && name.split(".").every(isDnsLabel);
}

/** Whether `key` is a label key of Kubernetes: a name, perhaps after a DNS prefix and a slash. */
export function isLabelKey(key: string): boolean {
  const slash = key.indexOf("/");
  return labelKeyName.test(key.slice(slash + 1)) && (slash === -1 || isDnsName(key.slice(0, slash)));
}

/** Whether `value` is a label value of Kubernetes; the empty one is. */
export function isLabelValue(value: string): boolean {
  return value === "" || labelKeyName.test(value);
}
