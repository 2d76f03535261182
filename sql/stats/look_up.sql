create or replace function postroad.message_report(message_id uuid)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select jsonb_build_object(
      'message', to_jsonb(s) || jsonb_build_object('recipient', m.recipient, 'tenant_id', m.tenant_id, 'source_type', m.source_type, 'source_id', m.source_id,
        'scheduled_for', m.scheduled_for, 'expires_at', m.expires_at, 'batch_id', m.batch_id,
        'traceparent', m.options ->> 'traceparent'),
      'timeline', (select coalesce(jsonb_agg(to_jsonb(t)), '[]') from postroad.timeline(message_report.message_id) as t),
      'explain', (select coalesce(jsonb_agg(to_jsonb(e)), '[]') from postroad.explain(message_report.message_id) as e)
    )
    from postroad.record_of(message_report.message_id) as m, postroad.status(message_report.message_id) as s
  );
end;
$$;

comment on function postroad.message_report is
'A message''s whole way: who it is for, its status, timeline and explain. Null when it is not known. Subject and body are not in it.';

revoke all on function postroad.message_report from public;
grant execute on function postroad.message_report to postroad_reader, postroad_admin;

create or replace function postroad.find_messages(address text, max_count integer default 20)
returns table (
  message_id  uuid,
  created_at  timestamptz,
  channel     text,
  priority    text,
  recipient   text,
  looked_back_to timestamptz
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  spellings text[];
  first_id uuid;
begin
  spellings := array(
    select distinct lower(x.spelling)
    from unnest('{email,sms,push,voice,in_app,webhook}'::text[]) as c (channel), lateral (values (address), (postroad.normalize_recipient(c.channel, address))) as x (spelling)
    where x.spelling is not null
  );
  -- An index on recipients would cost each enqueue; the newest messages are asked for, most often.
  first_id := (select m.message_id from postroad.messages as m order by m.message_id desc offset 100000 limit 1);
  looked_back_to := coalesce(postroad.created_at(first_id), '-infinity');
  return query
  select m.message_id, postroad.created_at(m.message_id), m.channel, 'P' || m.priority, m.recipient, find_messages.looked_back_to
  from postroad.messages as m
  where m.message_id > coalesce(first_id, '00000000-0000-0000-0000-000000000000')
    and lower(m.recipient) = any (spellings)
  order by m.message_id desc
  limit max_count;
  if not found then
    return next;                                 -- nothing but how far it looked
  end if;
end;
$$;

comment on function postroad.find_messages is
$$The newest messages to an address, in upper or lower case, of the newest 100,000 messages of all: there is no index on addresses, which would cost each enqueue. looked_back_to says how far that goes back;
-infinity: all messages were looked at. When there is none, one row has nothing else.$$;

revoke all on function postroad.find_messages from public;
grant execute on function postroad.find_messages to postroad_reader, postroad_admin;
