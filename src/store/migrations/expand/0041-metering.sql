-- Metering: labels that count traffic, and the rules that say which.

create table metering_labels (
  id uuid primary key,
  project_id text not null,
  name text not null,
  description text not null,
  shared boolean not null,
  revision_number bigint not null
);
create index on metering_labels (project_id);

create table metering_label_rules (
  id uuid primary key,
  project_id text not null,
  metering_label_id uuid not null references metering_labels,
  direction text not null,
  excluded boolean not null,
  -- As texts, since a host's prefix keeps its length.
  remote_ip_prefix text,
  source_ip_prefix text,
  destination_ip_prefix text,
  revision_number bigint not null,
  constraint metering_label_rules_no_overlap exclude using gist (
    metering_label_id with =, direction with =, (excluded::int) with =, (remote_ip_prefix::inet) inet_ops with &&
  ) where (remote_ip_prefix is not null)
);
create index on metering_label_rules (metering_label_id);
create index on metering_label_rules (project_id);
