-- Domains of networks and ports; how a port came to its addresses.
-- Breaking: no (new columns with defaults).

alter table networks add column dns_domain text not null default '';
alter table ports
  add column dns_domain text not null default '',
  add column ip_allocation text not null default 'immediate';
