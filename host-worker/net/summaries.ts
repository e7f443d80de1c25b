/** Parts of decisions and freezes in a few words, for terminals. */
import type { Target } from '../../shared/wire.ts'

/** A target in a few words. */
export function targetText(target: Target): string {
  return (
    [target.node, target.node_type === undefined ? undefined : `type ${target.node_type}`, target.datacenter]
      .filter((part) => part !== undefined)
      .join(' in ') || '-'
  )
}

/** The scope of a freeze in a few words. */
export function scopeText(scope: unknown): string {
  const parts = Object.entries(scope ?? {}).map(([key, value]) => `${key} ${String(value)}`)
  return parts.length === 0 ? 'everything' : parts.join(' and ')
}
