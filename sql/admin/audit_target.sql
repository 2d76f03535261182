create or replace function postroad.audit_target(channel text, address text)
returns text
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select postroad.address_hash(postroad.suppression_address(channel, address))
$$;

comment on function postroad.audit_target is
$$What stands for an address in audit_trail, which holds none: select * from postroad.audit_trail('-infinity') where target = postroad.audit_target('email', 'ada@example.org').
channel as given to suppress (null: all). Raises PR001 (an address that the channel does not know) and PR002 (unknown channel).$$;

revoke all on function postroad.audit_target from public;
grant execute on function postroad.audit_target to postroad_admin;
