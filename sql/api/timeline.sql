create or replace function postroad.timeline(message_id uuid)
returns table (
  occurred_at timestamptz,
  event_type  text,
  attempt     smallint,
  gateway     text,
  external_id text,
  reason      text,
  bounce_type text,
  detail      jsonb
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
set jit = off
as $$
begin
  return query
  select postroad.created_at(m.message_id), 'queued'::text collate "C", null::smallint, null::text, null::text, null::text, null::text,
    case when m.scheduled_for is not null then jsonb_build_object('scheduled_for', m.scheduled_for) end
  from postroad.record_of(timeline.message_id) as m
  union all (
    select e.occurred_at, e.event_type, e.attempt, e.gateway, e.external_id, e.reason, e.bounce_type, e.detail
    from postroad.delivery_events as e
    where e.message_id = timeline.message_id
    order by e.occurred_at, e.event_id
  );
end;
$$;

comment on function postroad.timeline is
'What happened to a message, oldest first; queued is the row in messages. detail: the provider''s own code and words; in_doubt: true, where an attempt that is made again may have gone out.';

revoke all on function postroad.timeline from public;
grant execute on function postroad.timeline to postroad_sender, postroad_admin, postroad_reader;
