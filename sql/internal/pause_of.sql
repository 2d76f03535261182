create or replace function postroad.pause_of(m postroad.messages, k postroad.messages_kept)
returns bigint
language sql
stable
as $$
  select x.pause_id
  from postroad.pauses as x
  where (x.scope, x.key) in (
    ('channel', coalesce(m.channel, k.channel)),
    ('source', coalesce(m.source_type, k.source_type)),
    ('source', coalesce(m.source_type, k.source_type) || ':' || coalesce(m.source_id, k.source_id)),
    ('tenant', coalesce(m.tenant_id, k.tenant_id)::text),
    ('domain', case when coalesce(m.channel, k.channel) = 'email' then split_part(coalesce(m.recipient, k.recipient), '@', 2) end)
  )
  order by x.pause_id
  limit 1
$$;

comment on function postroad.pause_of is
$$The pause that parks a message (its record, or its kept one), or null. Scopes: channel; source, by type or type:id; tenant; domain of an email address.
A paused priority is not claimed at all; a paused gateway is a matter of routing.$$;
