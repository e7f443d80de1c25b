declare module 'workerd' {
  /** Path of the workerd binary for this platform; the package carries no types of its own. */
  const workerd: { readonly default: string }
  export default workerd
}
