/** Errors of the bindings of ports to hosts. */
import { define } from './spec.ts'

export const bindingErrors = define({
  PortBindingNotFound: {
    status: 404,
    message: 'Binding for port %(port_id)s for host %(host)s could not be found.',
    when: 'The port has no binding to this host.',
  },
  PortBindingAlreadyActive: {
    status: 409,
    message: 'Binding for port %(port_id)s on host %(host)s is already active.',
    when: 'The binding that shall be activated is the active one.',
  },
  PortBindingAlreadyExists: {
    status: 409,
    message: 'Binding for port %(port_id)s on host %(host)s already exists.',
    when: 'The port has a binding to this host, active or not.',
  },
  PortBindingError: {
    status: 409,
    message: 'Binding for port %(port_id)s on host %(host)s could not be created or updated.',
    when: 'No mechanism driver binds the port there; `detail` says who refused and why, `facts.failure` all that each answered. Neutron answers 500.',
  },
})
