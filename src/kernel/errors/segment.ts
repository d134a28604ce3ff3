/** Errors of segments and segment ranges. */
import { define } from './spec.ts'

export const segmentErrors = define({
  SegmentNotFound: {
    status: 404,
    message: 'Segment %(segment_id)s could not be found.',
    when: 'The segment is not there, or not for this caller.',
  },
  SegmentInUse: {
    status: 409,
    message: "Segment '%(segment_id)s' cannot be deleted: %(reason)s.",
    when: 'Subnets stand on the segment, ports are bound on it, or it is the last of its network.',
  },
  SegmentsSetInConjunctionWithProviders: {
    status: 400,
    message: 'Segments and provider values cannot both be set.',
    when: 'A network is given both `segments` and `provider:` attributes.',
  },
  SegmentsContainDuplicateEntry: {
    status: 400,
    message: 'Duplicate segment entry in request.',
    when: 'Two of the `segments` of a network are the same.',
  },
  NoUpdateSubnetWhenMultipleSegmentsOnNetwork: {
    status: 400,
    message:
      "The network '%(network_id)s' has multiple segments, it is only possible to associate an existing subnet with a segment on networks with a single segment.",
    when: 'An existing subnet is put on a segment of a network that has several.',
  },
  SubnetsNotAllAssociatedWithSegments: {
    status: 400,
    message:
      "All of the subnets on network '%(network_id)s' must either all be associated with segments or all not associated with any segment.",
    when: 'Some subnets of the network would stand on segments and others on none.',
  },
  SubnetCantAssociateToDynamicSegment: {
    status: 400,
    message: 'A subnet cannot be associated with a dynamic segment.',
    when: 'The segment was made for a binding and goes with it.',
  },
  SubnetSegmentAssociationChangeNotAllowed: {
    status: 400,
    message: 'A subnet that is already associated with a segment cannot have its segment association changed.',
    when: 'A subnet that stands on a segment is put on another, or on none.',
  },
  NetworkIdsDontMatch: {
    status: 400,
    message: "The subnet's network id, '%(subnet_network)s', doesn't match the network_id of segment '%(segment_id)s'",
    when: 'The segment is part of another network than the subnet.',
  },
  NetworkSegmentRangeNotFound: {
    status: 404,
    message: 'Network Segment Range %(range_id)s could not be found.',
    when: 'The range is not there, or not for this caller.',
  },
  NetworkSegmentRangeOverlaps: {
    status: 409,
    message: 'Network segment range overlaps with range(s) with id %(range_id)s',
    when: 'Another range that is not of the configuration has some of these ids.',
  },
  NetworkSegmentRangeReferencedByProject: {
    status: 409,
    message: 'Network Segment Range %(range_id)s is referenced by one or more tenant networks.',
    when: 'Networks hold ids of the range that goes or shrinks.',
  },
  NetworkSegmentRangeDefaultReadOnly: {
    status: 400,
    message: 'Network Segment Range %(range_id)s is a default segment range which could not be updated or deleted.',
    when: 'The range is one of the configuration.',
  },
  NetworkSegmentRangeNetTypeNotSupported: {
    status: 400,
    message: 'Network type %(type)s does not support network segment ranges.',
    when: 'The range names no type, or one without ids.',
  },
  NetworkVlanRangeError: {
    status: 400,
    message: "Invalid network VLAN range: '%(vlan_range)s' - '%(error)s'.",
    when: 'A range of VLAN tags leaves 1 to 4094, or ends before it begins.',
  },
  NetworkTunnelRangeError: {
    status: 400,
    message: "Invalid network tunnel range: '%(tunnel_range)s' - %(error)s.",
    when: 'A range of tunnel ids leaves what the protocol has, or ends before it begins.',
  },
  BadRequest: {
    status: 400,
    message: 'Bad %(resource)s request: %(msg)s.',
    when: 'Values are well formed but one that they need is missing.',
  },
})
