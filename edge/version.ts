import resile from '../package.json' with { type: 'json' }

/** Of Resile. */
export const VERSION: string = resile.version
