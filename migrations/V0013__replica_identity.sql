-- A publication of all tables, as change data capture makes one, would keep rows without an identity from being deleted: nothing could be claimed.
do $$
declare
  name text;
begin
  for p in 0..4 loop
    execute format('alter table postroad.message_queue_p%s replica identity using index message_queue_p%1$s_message_id', p);
  end loop;
  foreach name in array array[
    'intents', 'idempotency_keys', 'suppression_list', 'event_tallies', 'event_minutes', 'message_counters', 'health_log', 'late_events', 'webhook_secrets'
  ] loop
    execute format('alter table postroad.%I replica identity full', name);
  end loop;
end;
$$;

comment on column postroad.consumers.registered_by is 'A database user, or a caller of the HTTP API (key:7, jwt:…): see postroad.check_consumer_owner. Null: it was registered before this was noted, or is our own.';
comment on column postroad.suppression_strikes.reason is 'hard_bounce, soft_bounce …; with @ and a tenant where the event is one that nobody vouches for.';
