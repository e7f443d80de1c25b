import type { PermitRefusal } from '../../../shared/permit.ts'

/** A permit that doesn't permit what is to be done. Trying again would not help. */
export class PermitRefused extends Error {
  readonly reason: PermitRefusal

  constructor(reason: PermitRefusal, message: string) {
    super(message)
    this.reason = reason
  }
}
