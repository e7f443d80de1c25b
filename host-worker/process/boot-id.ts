import { readFile } from 'node:fs/promises'

/** What {@link readBootId} gives where the kernel doesn't tell. */
export const UNKNOWN_BOOT = 'unknown'

/** Where Linux tells it. @see random(4) */
const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id'

/** A text that differs after each boot of the machine; `unknown` where nobody tells. */
export async function readBootId(file = BOOT_ID_FILE): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return text.trim() || UNKNOWN_BOOT
}
