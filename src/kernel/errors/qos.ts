/** Errors of QoS policies and rules. */
import { define } from './spec.ts'

export const qosErrors = define({})
