declare module 'workerd' {
  /** Path of the workerd binary for this platform; the package has no types. */
  const workerd: { readonly default: string }
  export default workerd
}
