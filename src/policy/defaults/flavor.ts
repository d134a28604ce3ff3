/**
 * Who may do what with flavors of services and the profiles behind them.
 *
 * A flavor belongs to no project. Zed's present texts ask for the flavor's project all the same, which nobody has, so
 * that no tenant could choose a flavor; later releases ask for the role alone, and so do these.
 */
import { ADMIN, ANYONE, action, administered, crud, type RuleDefault } from './rule.ts'

const flavors = crud('/flavors')
const profiles = crud('/flavors/{flavor_id}/service_profiles', 'profile_id')
const ADMIN_OR_ANY_READER = `${ADMIN} or role:reader`

export const flavor: readonly RuleDefault[] = [
  action('create_flavor', flavors.create, 'Create a flavor.', ADMIN),
  action('get_flavor', flavors.get, 'See a flavor.', ADMIN_OR_ANY_READER, ANYONE),
  action('update_flavor', flavors.update, 'Change a flavor.', ADMIN),
  action('delete_flavor', flavors.remove, 'Delete a flavor.', ADMIN),
  ...administered('service_profile', 'a service profile', crud('/service_profiles')),
  action(
    'get_flavor_service_profile',
    [],
    'See that a flavor has a service profile; asked before one is taken away.',
    ADMIN_OR_ANY_READER,
    ANYONE,
  ),
  action('create_flavor_service_profile', profiles.create, 'Give a service profile to a flavor.', ADMIN),
  action('delete_flavor_service_profile', profiles.remove, 'Take a service profile from a flavor.', ADMIN),
]
