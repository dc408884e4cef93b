/** Where a server under test listens. */
export interface ServerAddress {
  readonly port: number;
  /** The file with the root that its certificate ends in; plaintext without it. */
  readonly caFile?: string;
}
