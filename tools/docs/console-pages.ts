/** The pages whose console blocks are run, and by which test. On all others each console block says why it is not. */
export const CONSOLE_PAGES = {
  'README.md': 'test/docs/console.test.ts',
  'docs/start/heal-your-service.md': 'test/docs/console.test.ts',
  'docs/how-to/approve.md': 'test/docs/console.test.ts',
  'docs/how-to/freeze.md': 'test/docs/console.test.ts',
  'docs/how-to/trigger-over-http.md': 'test/docs/console.test.ts',
  'docs/how-to/write-a-workflow.md': 'test/hosts/writing-a-workflow.test.ts',
} as const
