/** Errors of BGP speakers and peers. */
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
    when: 'A peer that authenticates by nothing is given a password.',
  },
  BgpSpeakerPeerNotAssociated: {
    status: 404,
    message: 'BGP peer %(bgp_peer_id)s is not associated with BGP speaker %(bgp_speaker_id)s.',
    when: 'A peer is removed from a speaker that does not speak with it.',
  },
  BgpSpeakerNetworkNotAssociated: {
    status: 404,
    message: 'Network %(network_id)s is not associated with BGP speaker %(bgp_speaker_id)s.',
    when: 'A network is removed from a speaker that does not speak for it.',
  },
  BgpSpeakerNetworkBindingError: {
    status: 409,
    message: 'Network %(network_id)s is already bound to BgpSpeaker %(bgp_speaker_id)s.',
    when: 'A network is added to a speaker that speaks for it.',
  },
  DuplicateBgpPeerIpException: {
    status: 409,
    message:
      'BGP Speaker %(bgp_speaker_id)s is already configured to peer with a BGP Peer at %(peer_ip)s, it cannot peer with BGP Peer %(bgp_peer_id)s.',
    when: 'A speaker has a peer at that address.',
  },
  InvalidBgpPeerMd5Authentication: {
    status: 400,
    message: 'A password must be supplied when using auth_type md5.',
    when: 'A peer that authenticates by MD5 is made without a password.',
  },
  DrAgentInvalid: {
    status: 404,
    message: 'BgpDrAgent %(id)s is invalid or has been disabled.',
    when: 'A speaker is given to an agent that does not speak BGP, or that is administratively down.',
  },
  DrAgentNotHostingBgpSpeaker: {
    status: 404,
    message: 'BGP speaker %(bgp_speaker_id)s is not hosted by the BgpDrAgent %(agent_id)s.',
    when: 'A speaker is taken from an agent that does not have it.',
  },
  DrAgentAssociationError: {
    status: 409,
    message: 'BgpDrAgent %(agent_id)s is already associated to a BGP speaker.',
    when: 'A speaker is given to an agent that has one.',
  },
})
