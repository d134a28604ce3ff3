/** Who may count traffic: administrators; a project sees what is counted of its own. */
import { ADMIN, ADMIN_OR_READER, action, confine, crud, type RuleDefault } from './rule.ts'

const labels = crud('/metering/metering-labels')
const rules = crud('/metering/metering-label-rules')

export const metering: readonly RuleDefault[] = [
  action('create_metering_label', labels.create, 'Create a metering label.', ADMIN),
  confine(action('get_metering_label', labels.get, 'See a metering label.', ADMIN_OR_READER, ADMIN)),
  action('delete_metering_label', labels.remove, 'Delete a metering label.', ADMIN),
  action('create_metering_label_rule', rules.create, 'Create a rule of a metering label.', ADMIN),
  action('get_metering_label_rule', rules.get, 'See a rule of a metering label.', ADMIN_OR_READER, ADMIN),
  action('delete_metering_label_rule', rules.remove, 'Delete a rule of a metering label.', ADMIN),
]
