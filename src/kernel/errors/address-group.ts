/** Errors of address groups. */
import { define } from './spec.ts'

export const addressGroupErrors = define({
  AddressGroupNotFound: {
    status: 404,
    message: 'Address group %(address_group_id)s could not be found.',
    when: 'The address group is not there, or not for this caller.',
  },
  AddressGroupInUse: {
    status: 409,
    message: 'Address group %(address_group_id)s is in use on one or more security group rules.',
    when: 'Rules of security groups name the address group.',
  },
  AddressesNotFound: {
    status: 404,
    message: 'Addresses %(addresses)s not found in the address group %(address_group_id)s.',
    when: 'Addresses shall be removed that the group does not hold.',
  },
  AddressesAlreadyExist: {
    status: 400,
    message: 'Addresses %(addresses)s already exist in the address group %(address_group_id)s.',
    when: 'Addresses shall be added that the group holds already.',
  },
})
