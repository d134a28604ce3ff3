/** Errors of tags. */
import { define } from './spec.ts'

export const tagErrors = define({
  TagNotFound: { status: 404, message: 'Tag %(tag)s could not be found.', when: 'The object has no such tag.' },
})
