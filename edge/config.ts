import document from 'resile:config'
import { type Config, documentSchema } from '../shared/config.ts'

/**
 * The configuration that this Worker version was given, checked again: a coordinator with a document it can't fully
 * read doesn't start, since it might run with less safety than was asked for.
 */
export const config: Config = documentSchema.parse(document)
