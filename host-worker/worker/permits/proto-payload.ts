import type { Payload } from '../../../shared/payload.ts'

/** A payload as Temporal's gRPC has it. */
export interface ProtoPayload {
  metadata?: Record<string, Uint8Array> | null
  data?: Uint8Array | null
}

/** The same as Temporal's HTTP API has it. */
export function fromProto({ metadata, data }: ProtoPayload): Payload {
  return {
    metadata: Object.fromEntries(Object.entries(metadata ?? {}).map(([key, value]) => [key, base64(value)])),
    data: base64(data),
  }
}

function base64(bytes: Uint8Array | null | undefined): string {
  return Buffer.from(bytes ?? []).toString('base64')
}
