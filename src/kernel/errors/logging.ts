/** Errors of packet logging. */
import { define } from './spec.ts'

export const loggingErrors = define({
  LogResourceNotFound: {
    status: 404,
    message: 'Log resource %(log_id)s could not be found.',
    when: 'The log is not there, or not for this caller.',
  },
  InvalidLogResourceType: {
    status: 400,
    message: 'Invalid log resource_type: %(resource_type)s.',
    when: 'What shall be logged is of a kind that is not.',
  },
  LoggingTypeNotSupported: {
    status: 409,
    message: 'Logging type %(log_type)s is not supported on port %(port_id)s.',
    when: 'The port is plugged in a way that nobody can log.',
  },
  TargetResourceNotFound: {
    status: 404,
    message: 'Target resource %(target_id)s could not be found.',
    when: 'There is no such port to log.',
  },
  ResourceNotFound: {
    status: 404,
    message: 'Resource %(resource_id)s could not be found.',
    when: 'There is no such security group to log.',
  },
  InvalidResourceConstraint: {
    status: 400,
    message:
      'Invalid resource constraint between resource (%(resource)s %(resource_id)s) and target resource (%(target_resource)s %(target_id)s).',
    when: 'The port that shall be logged is not in the security group that shall be logged.',
  },
})
