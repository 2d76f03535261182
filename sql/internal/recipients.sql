create or replace function postroad.normalize_recipient(channel text, recipient text)
returns text
language sql
immutable
as $$
  select case channel
    when 'email' then postroad.normalize_email(recipient)
    when 'sms' then postroad.normalize_phone(recipient)
    when 'voice' then postroad.normalize_phone(recipient)
    when 'push' then case
      when btrim(recipient) like '{%' and length(recipient) <= 4096 and recipient ~ '^[^[:cntrl:]]+$'
        and postroad.is_push_subscription(btrim(recipient)) then btrim(recipient)
      when btrim(recipient) ~ '^[A-Za-z0-9_:%.+=/~-]+$' and length(recipient) <= 4096 then btrim(recipient)
    end
    when 'in_app' then case
      when length(btrim(recipient)) between 1 and 255 and recipient ~ '^[^[:cntrl:]]+$' then btrim(recipient)
    end
    when 'webhook' then case
      when length(recipient) <= 2048 and btrim(recipient) ~ E'^https?://[^\\s/?#@[:cntrl:]]+([/?#][^\\s[:cntrl:]]*)?$' then btrim(recipient)
    end
  end
$$;

comment on function postroad.normalize_recipient is
$$The one spelling of a recipient, or null when it is none: an email address; an E.164 number for sms and voice; for push a
device token of up to 4,096 characters or a Web Push subscription as JSON; for in_app a name of up to 255 characters; for webhook an
http or https URL of up to 2,048 characters without user and password.$$;

create or replace function postroad.normalize_email(address text)
returns text
language sql
immutable parallel safe
as $$
  select case
    -- Nearly all: plain ASCII, spelled as we spell it, and short enough for every limit at once.
    when octet_length(address) <= 64
      and position('xn--' in address) = 0
      and address ~ '^[A-Za-z0-9_+&=!#$%*/?^{|}~''-]+([.][A-Za-z0-9_+&=!#$%*/?^{|}~''-]+)*@([a-z0-9]([a-z0-9-]*[a-z0-9])?[.])+[a-z0-9]([a-z0-9-]*[a-z0-9])?$'
    then address
    else postroad.normalize_other_email(address)
  end
$$;

comment on function postroad.normalize_email is
$$An email address with its domain in lower case (whatever the locale of the database; see normalize_other_email), or null when it is none: a dot-atom of up to 64 bytes (RFC 5321, section 4.5.3.1.1),
a domain of letter-digit-hyphen labels of up to 63 with at least one dot (or localhost), 254 bytes in all. Letters may be of any script, in any database.
Quoted local parts and address literals are not accepted.$$;

create or replace function postroad.normalize_other_email(address text)
returns text
language sql
immutable parallel safe
as $$
  select case
    -- No space, control or invisible mark of any script; by code point, for the locale of the database must have no say.
    when octet_length(address) <= 1000            -- blanks around it included
      and address !~ E'[\\u0080-\\u00a0\\u00ad\\u1680\\u2000-\\u200f\\u2028-\\u202f\\u205f-\\u206f\\u3000\\ufeff\\ufff0-\\uffff]'
      and btrim(address, E' \t\r\n') ~ '^[^@]+@[^@]+$'
    then (
      select case
        when a.address ~ E'^[^]\\u0001-\\u0020\\u007f"(),:;<>@[\\\\.]+(\\.[^]\\u0001-\\u0020\\u007f"(),:;<>@[\\\\.]+)*@([A-Za-z0-9\\u0080-\\U0010ffff]([A-Za-z0-9\\u0080-\\U0010ffff-]*[A-Za-z0-9\\u0080-\\U0010ffff])?\\.)*[A-Za-z0-9\\u0080-\\U0010ffff]([A-Za-z0-9\\u0080-\\U0010ffff-]*[A-Za-z0-9\\u0080-\\U0010ffff])?$'
          and octet_length(a.address) <= 254
          and (position('.' in split_part(a.address, '@', 2)) > 0 or split_part(a.address, '@', 2) = 'localhost')
          and octet_length(split_part(a.address, '@', 1)) <= 64
          and split_part(a.address, '@', 2) !~ '[^.]{64}'
        then a.address
      end
      from (                                     -- letters that a lookup of the domain takes for others (UTS 46) are those others
        select split_part(t.text, '@', 1) || '@' || postroad.normalize_domain(split_part(t.text, '@', 2)) as address
        from (select btrim(address, E' \t\r\n')) as t (text)
      ) as a
    )
  end
$$;

comment on function postroad.normalize_other_email is
'normalize_email for an address that is not plain ASCII in our spelling, or whose domain is in A-labels; see normalize_domain.';

create or replace function postroad.normalize_domain(domain text)
returns text
language sql
immutable parallel safe
as $$
  select case
    when position('xn--' in f.folded) = 0 then f.folded
    else (
      select string_agg(coalesce(postroad.u_label(l.label), l.label), '.' order by l.nth)
      from string_to_table(f.folded, '.') with ordinality as l (label, nth)
    )
  end
  from (select postroad.fold_domain(domain) as folded) as f
$$;

comment on function postroad.normalize_domain is
$$The one spelling of a domain, in the letters that stand for it: full-width and other compatibility forms as plain ones (NFKC), the capitals of Latin, Greek and Cyrillic small, A-labels (xn--…) as the U-labels
that they stand for, where u_label knows them.$$;

create or replace function postroad.fold_domain(domain text)
returns text
language sql
immutable parallel safe
as $$
  select lower(translate(normalize(domain, nfkc),
    'ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞĀĂĄĆĈĊČĎĐĒĔĖĘĚĜĞĠĢĤĦĨĪĬĮĴĶĹĻĽŁŃŅŇŊŌŎŐŒŔŖŘŚŜŞŠŢŤŦŨŪŬŮŰŲŴŶŸŹŻŽΆΈΉΊΌΎΏΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩΪΫЀЁЂЃЄЅІЇЈЉЊЋЌЍЎЏАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ',
    'àáâãäåæçèéêëìíîïðñòóôõöøùúûüýþāăąćĉċčďđēĕėęěĝğġģĥħĩīĭįĵķĺļľłńņňŋōŏőœŕŗřśŝşšţťŧũūŭůűųŵŷÿźżžάέήίόύώαβγδεζηθικλμνξοπρστυφχψωϊϋѐёђѓєѕіїјљњћќѝўџабвгдежзийклмнопрстуфхцчшщъыьэюя') collate "C")
$$;

comment on function postroad.fold_domain is 'A domain with the letters that a lookup takes for others (UTS 46) as those others: NFKC, and capitals small whatever the locale of the database.';

create or replace function postroad.u_label(a_label text)
returns text
language plpgsql
immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  encoded constant text := substr(a_label, 5);
  digits constant text := regexp_replace(encoded, '^.*-', '');
  label text := case when position('-' in encoded) > 0 then regexp_replace(encoded, '-[^-]*$', '') else '' end;
  code bigint := 128;
  place bigint := 0;
  bias bigint := 72;
  from_place bigint;
  weight bigint;
  k integer;
  digit integer;
  threshold bigint;
  delta bigint;
  nth integer := 1;
begin
  if a_label !~ '^xn--[a-z0-9-]*[a-z0-9]$' or length(a_label) > 63 then
    return null;
  end if;
  while nth <= length(digits) loop               -- a code point each: RFC 3492, section 6.2
    from_place := place;
    weight := 1;
    k := 36;
    loop
      if nth > length(digits) then
        return null;
      end if;
      digit := position(substr(digits, nth, 1) in 'abcdefghijklmnopqrstuvwxyz0123456789') - 1;
      nth := nth + 1;
      place := place + digit * weight;
      threshold := least(26, greatest(1, k - bias));
      exit when digit < threshold;
      weight := weight * (36 - threshold);
      if weight > 1000000000 then
        return null;
      end if;
      k := k + 36;
    end loop;
    delta := (place - from_place) / case when from_place = 0 then 700 else 2 end;      -- section 6.1
    delta := delta + delta / (length(label) + 1);
    bias := 0;
    while delta > 455 loop
      delta := delta / 35;
      bias := bias + 36;
    end loop;
    bias := bias + 36 * delta / (delta + 38);
    code := code + place / (length(label) + 1);
    place := place % (length(label) + 1);
    -- Letters that fold_domain folds, or that are no capitals: to encode them again must give the same label.
    if (code between 223 and 383 and code not in (247, 304) or code between 940 and 974 or code between 1072 and 1119
      or code between 1163 and 1215 and code % 2 = 1 or code between 1233 and 1327 and code % 2 = 1 or code between 1425 and 1791
      or code between 2304 and 3711 or code between 4304 and 4346 or code between 7841 and 7929 and code % 2 = 1
      or code between 12353 and 12543 or code between 13312 and 40959 or code between 44032 and 55203) is not true
    then
      return null;
    end if;
    label := left(label, place::integer) || chr(code::integer) || substr(label, place::integer + 1);
    place := place + 1;
  end loop;
  return case when postroad.fold_domain(label) = label then label end;
end;
$$;

comment on function postroad.u_label is
$$The label that an A-label (xn--…, in small letters) stands for, decoded by Punycode (RFC 3492), or null: where it is none, and where not all of it is of the small letters of Latin, Greek and Cyrillic, of Hebrew, Arabic, the scripts
of India, Thai, Lao, Georgian, Chinese, Japanese or Korean, for which it is certain that the label is encoded as it was.$$;

create or replace function postroad.is_push_subscription(subscription text)
returns boolean
language plpgsql
immutable
as $$
begin
  return coalesce(subscription::jsonb ->> 'endpoint' ~ E'^https://[^\\s/?#@]+([/?#]\\S*)?$', false);
exception
  when others then                               -- no JSON
    return false;
end;
$$;

comment on function postroad.is_push_subscription is 'Whether a text is a Web Push subscription: a JSON object whose endpoint is an https URL.';

create or replace function postroad.normalize_phone(number text)
returns text
language sql
immutable parallel safe
as $$
  select case
    when n.digits ~ '^[+][1-9][0-9]{6,14}$' then n.digits
  end
  from (select case when octet_length(number) <= 255 then regexp_replace(regexp_replace(btrim(number), '[ ().-]', '', 'g'), '^00', '+') end) as n (digits)
$$;

comment on function postroad.normalize_phone is
$$An E.164 number: + and 7 to 15 digits, of which the first is not 0; or null when it is none. Spaces, dots, hyphens and parentheses
are taken out, a leading 00 is read as +; with them it has up to 255 bytes. A number without country code is none: which country would it be?$$;

create or replace function postroad.suppression_key(channel text, recipient text)
returns text
language sql
immutable parallel safe
as $$
  select case when channel = 'email' then lower(recipient collate "C") else recipient end
$$;

comment on function postroad.suppression_key is 'How suppression_list writes a normalised recipient: an email address in lower case, others as they are.';

create or replace function postroad.is_bigint(number text)
returns boolean
language sql
immutable parallel safe
as $$
  select case
    when number ~ '^-?[0-9]{1,18}$' then true
    when number ~ '^-?[0-9]{19}$' then number::numeric between -9223372036854775808 and 9223372036854775807
    else number is null
  end
$$;

comment on function postroad.is_bigint is 'Whether an id that came as text is a whole number of 64 bits, or null.';

create or replace function postroad.is_jsonb(document text)
returns boolean
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return document::jsonb is not null or document is null;
exception
  when others then
    return false;
end;
$$;

comment on function postroad.is_jsonb is 'Whether data that came as text is JSON that Postgres can store, or null.';
