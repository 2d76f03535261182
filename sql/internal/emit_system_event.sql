create or replace function postroad.emit_system_event(
  kind    text,
  subject text,
  detail  jsonb default null
)
returns void
language plpgsql
volatile
as $$
begin
  if (kind ~ '^[a-z][a-z0-9_]{0,62}$') is not true then
    raise exception 'a kind of system event is a word of a-z, 0-9 and _, got %', coalesce(quote_literal(kind), 'null')
      using errcode = 'PR001';
  end if;
  insert into postroad.system_events (kind, subject, detail)
  values (kind, subject, detail);
end;
$$;

comment on function postroad.emit_system_event is
$$Appends a system event, in the caller's transaction: consumers that asked for them read it, and endpoints whose filter has system.* or system.<kind> get it.
kind: gateway_health_changed (subject: the gateway), suppression_added (subject: the channel), rate_limit_exceeded (subject: the limit), endpoint_disabled (subject: its id), or another
word. detail: an address may stand in its key address only, which is shown to those alone who may see addresses; a tenant in tenant_id, by which endpoints of one
tenant choose. Raises PR001 when kind is no such word.$$;
