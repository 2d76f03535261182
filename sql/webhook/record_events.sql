create or replace function postroad.record_events(
  gateway text,
  events  jsonb
)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  recorded integer;
begin
  insert into postroad.delivery_events (message_id, event_type, gateway, external_id, reason, bounce_type, source_key, occurred_at, detail)
  select e.message_id, e.event_type, record_events.gateway, e.external_id, e.reason, e.bounce_type, e.source_key,
    coalesce(e.occurred_at, clock_timestamp()), e.detail
  from jsonb_to_recordset(events) as e (
    message_id uuid, event_type text, external_id text, reason text, bounce_type text, source_key text, occurred_at timestamptz, detail jsonb)
  on conflict do nothing;
  get diagnostics recorded = row_count;
  return recorded;
end;
$$;

comment on function postroad.record_events is
$$Appends what a gateway reported: a JSON array of {message_id, event_type, external_id, reason, bounce_type, source_key, occurred_at, detail}. An event whose
source_key (the provider's id of it) is there already is left out. Returns how many were new.$$;

revoke all on function postroad.record_events from public;
grant execute on function postroad.record_events to postroad_webhook;
