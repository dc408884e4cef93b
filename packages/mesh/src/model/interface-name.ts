const fullName = /^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$/;
const reserved = ["grpc.", "envoy.", "istio.", "weft."];

/** Whether `name` is a protobuf full name, such as `greet.v1.Greeter`, of at most 255 characters. */
export function isInterfaceName(name: string): boolean {
  return name.length <= 255 && fullName.test(name);
}

/** Whether `name` belongs to the infrastructure (health, reflection, xDS, …): served everywhere, never an interface of the mesh. */
export function isReservedInterface(name: string): boolean {
  return reserved.some((prefix) => name.startsWith(prefix));
}
