/** Errors of BGP speakers and peers. */
import { define } from './spec.ts'

export const bgpErrors = define({})
