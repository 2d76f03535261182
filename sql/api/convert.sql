create or replace function postroad.convert(
  message_id uuid,
  detail     jsonb default null,
  key        text default null
)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
set jit = off
as $$
begin
  if jsonb_typeof(detail) <> 'object' then
    raise exception 'detail must be a JSON object, got %', jsonb_typeof(detail)
      using errcode = 'PR001', hint = 'Such as {"order": 42, "amount": "19.90"}.';
  elsif length(key) not between 1 and 200 then
    raise exception 'key must have 1 to 200 characters, got %', length(key)
      using errcode = 'PR001', hint = 'Such as ''order-42''; without a key a message converts once.';
  end if;
  -- A message without a record is one whose day is gone, or none of ours.
  if not exists (select from postroad.messages as m where m.message_id = convert.message_id)
      and not exists (select from postroad.messages_kept as k where k.message_id = convert.message_id)
      and (substr(message_id::text, 15, 1) = '7' and postroad.created_at(message_id) < clock_timestamp() - interval '1 day'
        and nullif(current_setting('postroad.tenant', true), '') is null) is not true then
    return false;
  end if;
  insert into postroad.delivery_events (message_id, event_type, source_key, detail)
  values (message_id, 'converted', 'convert' || coalesce(':' || key, ''), detail)
  on conflict do nothing;
  return found;
end;
$$;

comment on function postroad.convert is
$$Records that the recipient did what a message was for: event converted, with detail, a JSON object such as {"order": 42}. Once for each key, such as 'order-42'; without
a key once for the message. True when it is new; false when it was recorded before, or the message is not known. It changes no status. A message whose day is gone converts
too, but for callers that are bound to a tenant. Raises PR001 when detail is no object, or the key is longer than 200 characters.$$;

revoke all on function postroad.convert from public;
grant execute on function postroad.convert to postroad_sender;
