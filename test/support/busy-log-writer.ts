/**
 * Writes numbered lines to a log as fast as it can, and rotates it meanwhile in every way that loses nothing.
 *
 *     node busy-log-writer.ts FILE LINES ROTATIONS TRUNCATIONS PROGRESS
 *
 * Before it truncates it waits until PROGRESS holds the number of lines that it wrote: what is truncated unread is lost
 * to everyone.
 */
import { closeSync, existsSync, openSync, readFileSync, renameSync, truncateSync, writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

const [file = '', lines = '', rotations = '', truncations = '', progress = ''] = process.argv.slice(2)
const total = Number(lines)
const parts = Number(rotations) + Number(truncations) + 1
const truncateEach = Math.floor((parts - 1) / Number(truncations))
/** Odd, so that most writes end within a line. */
const writeSize = 9973

let descriptor = openSync(file, 'a')
let written = 0
for (let part = 0; part < parts; part += 1) {
  const upTo = Math.floor((total * (part + 1)) / parts)
  const late = part % 3 === 0 ? 100 : 0
  write(upTo - late)
  if (part === parts - 1) break
  if (part % truncateEach === truncateEach - 1) {
    write(upTo)
    while (readProgress() !== written) await sleep(5)
    truncateSync(file)
    continue
  }
  if (part % 2 === 0) shift()
  renameSync(file, part % 2 === 0 ? `${file}.1` : `${file}-202611${String(part).padStart(2, '0')}`)
  const next = openSync(file, 'a')
  // Like a program that has not reopened its log after the rotation.
  write(upTo)
  closeSync(descriptor)
  descriptor = next
}

function write(upTo: number): void {
  let text = ''
  while (written < upTo) {
    text += `${written} ${'.'.repeat(written % 20)}\n`
    written += 1
    if (text.length < writeSize) continue
    writeSync(descriptor, text.slice(0, writeSize))
    text = text.slice(writeSize)
  }
  writeSync(descriptor, text)
}

function shift(): void {
  let last = 1
  while (existsSync(`${file}.${last}`)) last += 1
  for (; last > 1; last -= 1) renameSync(`${file}.${last - 1}`, `${file}.${last}`)
}

function readProgress(): number {
  return existsSync(progress) ? Number(readFileSync(progress, 'utf8')) : 0
}
