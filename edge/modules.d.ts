/** The compiled configuration: a separate JSON module, so that a config change needs no new bundle. */
declare module 'resile:config' {
  const document: unknown
  export default document
}

/** How many requests each fuzz test makes, as vitest.config.ts says. */
declare const FUZZ_RUNS: number
