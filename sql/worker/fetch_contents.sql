create or replace function postroad.fetch_contents(content_ids uuid[])
returns table (
  content_id uuid,
  subject    text,
  body       text,
  html       text,
  data       jsonb,
  options    jsonb
)
language plpgsql
volatile                         -- where it waits for a day that is moved or dropped, it must see what came of it
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
begin
  return query
  select c.content_id, c.subject, c.body, c.html, c.data,
    case when c.options ?| '{cc,bcc}' then postroad.without_suppressed_copies(c.options, null) else c.options end
  from unnest(content_ids) as u (id)
  join postroad.contents as c on c.content_id = u.id
  union all
  select k.content_id, k.subject, k.body, k.html, k.data,
    case when k.options ?| '{cc,bcc}' then postroad.without_suppressed_copies(k.options, null) else k.options end
  from unnest(content_ids) as u (id)
  join postroad.contents_kept as k on k.content_id = u.id
  where not exists (select from postroad.contents as c where c.content_id = k.content_id);
end;
$$;

comment on function postroad.fetch_contents is 'The contents with these ids, without copies (cc, bcc) to addresses that are suppressed for every tenant; one that is gone has no row.';

revoke all on function postroad.fetch_contents from public;
grant execute on function postroad.fetch_contents to postroad_worker;
