create or replace function postroad.pause_of(channel text, source_type text, source_id bigint, tenant_id bigint, recipient text)
returns bigint
language sql
stable
as $$
  select x.pause_id
  from postroad.pauses as x
  where (x.scope, x.key) in (
    ('channel', pause_of.channel),
    ('source', pause_of.source_type),
    ('source', pause_of.source_type || ':' || pause_of.source_id),
    ('tenant', pause_of.tenant_id::text),
    ('domain', case when pause_of.channel = 'email' then split_part(pause_of.recipient, '@', 2) end)
  )
  order by x.pause_id
  limit 1
$$;

comment on function postroad.pause_of is
$$The pause that parks a message of these, or null. Scopes: channel; source, by type or type:id; tenant; domain of an email address.
A paused priority is not claimed at all; a paused gateway is a matter of routing.$$;
