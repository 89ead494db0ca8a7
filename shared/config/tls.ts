/** How to speak TLS to a server; PEM texts. With nothing given the system's certificate authorities decide. */
export interface TlsOptions {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** False trusts any certificate: only for tests. */
  readonly rejectUnauthorized?: boolean;
}
