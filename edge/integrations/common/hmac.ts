/** HMAC-SHA256 (RFC 2104), as Slack and PagerDuty sign with it. */
const ALGORITHM = { name: 'HMAC', hash: 'SHA-256' }

/**
 * Whether an HMAC is that of a content; compared in constant time.
 *
 * @param secret the key, as the text that it is
 * @param hex    the HMAC in hex
 */
export async function isHmac(secret: string, hex: string, content: Uint8Array): Promise<boolean> {
  const key = await crypto.subtle.importKey('raw', encode(secret), ALGORITHM, false, ['verify'])
  return crypto.subtle.verify(ALGORITHM, key, fromHex(hex), content)
}

/** A text followed by bytes. */
export function joined(text: string, bytes: Uint8Array): Uint8Array {
  const begin = encode(text)
  const all = new Uint8Array(begin.byteLength + bytes.byteLength)
  all.set(begin)
  all.set(bytes, begin.byteLength)
  return all
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16))
}
