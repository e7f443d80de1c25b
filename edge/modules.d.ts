/** The compiled configuration, a JSON module of its own so that a config change needs no new bundle. */
declare module 'resile:config' {
  const document: unknown
  export default document
}
