import { readFile } from 'node:fs/promises'

/** The boot id where the kernel doesn't provide one. */
export const UNKNOWN_BOOT = 'unknown'

/** Where Linux provides it. @see random(4) */
export const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id'

/** A text that differs after each boot of the machine; `unknown` where the kernel provides none. */
export async function readBootId(file = BOOT_ID_FILE): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return text.trim() || UNKNOWN_BOOT
}
