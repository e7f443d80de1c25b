import type { Payload } from '../../../shared/payload.ts'

/** A payload in Temporal's gRPC API. */
export interface ProtoPayload {
  metadata?: Record<string, Uint8Array> | null
  data?: Uint8Array | null
}

/** The same in Temporal's HTTP API. */
export function fromProto({ metadata, data }: ProtoPayload): Payload {
  return {
    metadata: Object.fromEntries(Object.entries(metadata ?? {}).map(([key, value]) => [key, base64(value)])),
    data: base64(data),
  }
}

function base64(bytes: Uint8Array | null | undefined): string {
  return Buffer.from(bytes ?? []).toString('base64')
}
