/** A file is there, but isn't what it has to be. The message names it and says what is wrong; it quotes no secrets. */
export class BadCertificateFile extends Error {
  readonly file: string

  /** @param what what is wrong with it, as the rest of a sentence that begins with the file */
  constructor(file: string, what: string) {
    super(`${file} ${what}`)
    this.file = file
  }
}
