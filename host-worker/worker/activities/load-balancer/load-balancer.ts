/** A load balancer, whatever its kind. */

/** One of its servers, by the name that it knows it under. */
export interface BalancedServer {
  name: string
  /** Whether it would get new requests if it is healthy, be it from one of several load balancers alone. */
  inRotation: boolean
  /** Whether several load balancers disagree on that: then it is neither out nor back. */
  partly?: boolean
  /** Whether it gets requests now, or would get the next ones. */
  serving: boolean
  /** Of a backup: whether it would get them if no other server could. */
  standby?: boolean
  /** Whether its health check has begun to find it well, but not for long enough yet. */
  rising?: boolean
  /** Requests in progress; null when unknown. */
  sessions: number | null
  /** The load balancer's own word. */
  state: string
}

/** One pool of servers. */
export interface LoadBalancer {
  /** @throws Error when it doesn't answer as it should */
  read(): Promise<BalancedServer[]>
  /** Takes a server out of rotation, or brings it back; doing so twice is the same as once. @throws as `read` */
  setInRotation(server: string, inRotation: boolean): Promise<void>
}
