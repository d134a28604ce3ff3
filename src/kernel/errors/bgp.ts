/** Errors of BGP speakers, their peers, and the agents that have them. */
import { define } from './spec.ts'

export const bgpErrors = define({
  BgpSpeakerNotFound: {
    status: 404,
    message: 'BGP speaker %(id)s could not be found.',
    when: 'The speaker is not there, or not for this caller.',
  },
  BgpPeerNotFound: {
    status: 404,
    message: 'BGP peer %(id)s could not be found.',
    when: 'The peer is not there, or not for this caller.',
  },
  BgpPeerNotAuthenticated: {
    status: 404,
    message: 'BGP peer %(bgp_peer_id)s not authenticated.',
    when: 'A password is given to a peer without authentication.',
  },
  BgpSpeakerPeerNotAssociated: {
    status: 404,
    message: 'BGP peer %(bgp_peer_id)s is not associated with BGP speaker %(bgp_speaker_id)s.',
    when: 'A peer is taken from a speaker that does not have it.',
  },
  BgpSpeakerNetworkNotAssociated: {
    status: 404,
    message: 'Network %(network_id)s is not associated with BGP speaker %(bgp_speaker_id)s.',
    when: 'A network is taken from a speaker that does not advertise for it.',
  },
  BgpSpeakerNetworkBindingError: {
    status: 409,
    message: 'Network %(network_id)s is already bound to BgpSpeaker %(bgp_speaker_id)s.',
    when: 'A speaker is given a network that it has.',
  },
  DuplicateBgpPeerIpException: {
    status: 409,
    message:
      'BGP Speaker %(bgp_speaker_id)s is already configured to peer with a BGP Peer at %(peer_ip)s, it cannot peer with BGP Peer %(bgp_peer_id)s.',
    when: 'A speaker is given two peers at one address.',
  },
  InvalidBgpPeerMd5Authentication: {
    status: 400,
    message: 'A password must be supplied when using auth_type md5.',
    when: 'A peer with MD5 authentication has no password.',
  },
  DrAgentInvalid: {
    status: 404,
    message: 'BgpDrAgent %(id)s is invalid or has been disabled.',
    when: 'A speaker is given to an agent that speaks no BGP, or that is administratively down.',
  },
  DrAgentNotHostingBgpSpeaker: {
    status: 404,
    message: 'BGP speaker %(bgp_speaker_id)s is not hosted by the BgpDrAgent %(agent_id)s.',
    when: 'A speaker is taken from an agent that does not have it.',
  },
  DrAgentAssociationError: {
    status: 409,
    message: 'BgpDrAgent %(agent_id)s is already associated to a BGP speaker.',
    when: 'An agent is given a second speaker.',
  },
})
