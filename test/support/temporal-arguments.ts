/** How the tests run Temporal's dev server: ports for gRPC, HTTP and metrics, and its state in a file. */
export function temporalArguments([grpc, http, metrics]: readonly [number, number, number], file: string): string[] {
  const ports = ['--port', `${grpc}`, '--http-port', `${http}`, '--metrics-port', `${metrics}`]
  const where = ['--headless', '--ip', '127.0.0.1', ...ports, '--db-filename', file]
  return ['server', 'start-dev', ...where, '--log-level', 'error']
}
