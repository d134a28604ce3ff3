/** Errors of flavors and service profiles. */
import { define } from './spec.ts'

export const flavorErrors = define({
  FlavorNotFound: {
    status: 404,
    message: 'Flavor %(flavor_id)s could not be found.',
    when: 'The flavor is not there, or not for this caller.',
  },
  FlavorInUse: {
    status: 409,
    message: 'Flavor %(flavor_id)s is used by some service instance.',
    when: 'A router was made with the flavor that is to be deleted.',
  },
  ServiceProfileNotFound: {
    status: 404,
    message: 'Service Profile %(sp_id)s could not be found.',
    when: 'The service profile is not there, or not for this caller.',
  },
  ServiceProfileInUse: {
    status: 409,
    message: 'Service Profile %(sp_id)s is used by some service instance.',
    when: 'A flavor has the profile that is to be changed or deleted.',
  },
  ServiceProfileDisabled: {
    status: 503,
    message: 'Service Profile is not enabled.',
    when: 'The provider of a flavor is asked for, and its profile is switched off.',
  },
  ServiceProfileDriverNotFound: {
    status: 404,
    message: 'Service Profile driver %(driver)s could not be found.',
    when: 'No service provider has the driver that a profile names.',
  },
  ServiceProfileEmpty: {
    status: 400,
    message: 'Service Profile needs either a driver or metainfo.',
    when: 'A profile is made with neither.',
  },
  FlavorServiceProfileBindingExists: {
    status: 409,
    message: 'Service Profile %(sp_id)s is already associated with flavor %(fl_id)s.',
    when: 'The flavor has the profile.',
  },
  FlavorServiceProfileBindingNotFound: {
    status: 404,
    message: 'Service Profile %(sp_id)s is not associated with flavor %(fl_id)s.',
    when: 'The flavor has not that profile, or none at all.',
  },
  InvalidServiceType: {
    status: 400,
    message: 'Invalid service type: %(service_type)s.',
    when: 'A flavor is made for a service that is not there.',
  },
})
