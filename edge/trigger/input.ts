import { checkFields, convertTexts, type InputField } from '../../shared/input.ts'
import { jsonPointer, ProblemError } from '../http/problem.ts'

/**
 * Checks a trigger's input against the fields that its workflow declares, and fills in defaults. A workflow that
 * declares none takes any object.
 *
 * @param isFromSignal whether it was made of a signal's labels, which are texts: they are converted to the declared types
 * @throws ProblemError `invalid_input` with the path of each mistake
 */
export function validateInput(
  fields: Readonly<Record<string, InputField>> | undefined,
  input: Record<string, unknown>,
  isFromSignal = false,
): Record<string, unknown> {
  if (fields === undefined) return input
  const { values, mistakes } = checkFields(fields, isFromSignal ? convertTexts(fields, input) : input)
  if (mistakes.length === 0) return values
  const errors = mistakes.map(({ path, message }) => ({ path: jsonPointer(['input', ...path]), message }))
  throw new ProblemError('invalid_input', 'the input does not fit the workflow', { errors })
}
