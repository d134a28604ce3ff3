/** Errors of trunks and subports. */
import { define } from './spec.ts'

export const trunkErrors = define({
  TrunkNotFound: {
    status: 404,
    message: 'Trunk %(trunk_id)s could not be found.',
    when: 'The trunk is not there, or not for this caller.',
  },
  SubPortNotFound: {
    status: 404,
    message: 'SubPort %(port_id)s on trunk %(trunk_id)s could not be found.',
    when: 'A port that shall leave a trunk is none of its subports.',
  },
  TrunkPortInUse: {
    status: 409,
    message: 'Port %(port_id)s is in use by another trunk.',
    when: 'A port is a subport already.',
  },
  ParentPortInUse: {
    status: 409,
    message: 'Port %(port_id)s is currently in use and is not eligible for use as a parent port.',
    when: 'A port is the parent of a trunk already, or bound to a host whose driver cannot trunk it any more.',
  },
  DuplicateSubPort: {
    status: 409,
    message:
      'segmentation_type %(segmentation_type)s and segmentation_id %(segmentation_id)s already in use on trunk %(trunk_id)s.',
    when: 'Two subports of a trunk would have one VLAN.',
  },
  SubPortMtuGreaterThanTrunkPortMtu: {
    status: 409,
    message: 'MTU %(port_mtu)s of subport %(port_id)s cannot be greater than MTU %(trunk_mtu)s of trunk %(trunk_id)s.',
    when: "A subport's network carries larger packets than the parent's.",
  },
  PortInUseAsTrunkParent: {
    status: 409,
    message: 'Port %(port_id)s is currently a parent port for trunk %(trunk_id)s.',
    when: 'A port shall be deleted that is the parent of a trunk.',
  },
  PortInUseAsSubPort: {
    status: 409,
    message: 'Port %(port_id)s is currently a subport for trunk %(trunk_id)s.',
    when: 'A port shall be deleted that is a subport.',
  },
  TrunkInUse: {
    status: 409,
    message: 'Trunk %(trunk_id)s is currently in use.',
    when: 'A trunk shall be deleted while its parent port is bound to a host.',
  },
  TrunkDisabled: {
    status: 409,
    message: 'Trunk %(trunk_id)s is currently disabled.',
    when: 'A trunk that is administratively down shall change or go.',
  },
  TrunkInErrorState: {
    status: 409,
    message: 'Trunk %(trunk_id)s is in error state. Attempt to resolve the error condition before proceeding.',
    when: 'Subports shall be added to a trunk that failed.',
  },
})
