import { createScript } from '../redis/script.ts'

/*
 * All that Redis knows of one customer is one hash, so that it lives in one slot, is evicted in one
 * step, and goes away by itself. Its fields:
 *   t:<variant>  <ends at>:<stamp>:<sealed token>    a token; the stamp is the lease it was minted under
 *   l:<variant>  <ends at>:<owner>                   the lease of a mint in the air
 *   w:<upstream> <sealed workspace id>               the workspace of the customer's tokens
 *   k            1                                   the customer has had a token
 *   e            <when>                              the last eviction
 * Moments in it are Redis's own, so the replicas' clocks do not matter.
 */
const COMMON = `
local hash = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function lives(text)
  local ends = text and tonumber(string.match(text, '^(%d+):'))
  return ends and ends > now
end

local function lease(variant)
  local text = redis.call('HGET', hash, 'l:' .. variant)
  if lives(text) then return string.match(text, '^%d+:(.*)$') end
  return nil
end

local function token(variant)
  local text = redis.call('HGET', hash, 't:' .. variant)
  if not lives(text) then return nil end
  local ends, stamp, sealed = string.match(text, '^(%d+):([^:]*):(.*)$')
  return { ends = tonumber(ends), stamp = stamp, sealed = sealed }
end

local function keepFor(ms)
  if redis.call('PTTL', hash) < tonumber(ms) then redis.call('PEXPIRE', hash, ms) end
end

local function evictedAt() return redis.call('HGET', hash, 'e') or '' end
`

/** Longer than a lease is held without being renewed, by far: the mark of an eviction outlives every mint. */
const KEEP_HASH_MS = 120_000

/**
 * variant, owner, lease ms, stamp passed over, customer is known ->
 * ['value', sealed, stamp, kept for] | ['granted', evicted at, current stamp] | ['busy']
 */
export const seekScript = createScript(`${COMMON}
local variant, owner, leaseMs, passedOver, known = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5] == '1'
local current = token(variant)
if current and current.stamp ~= passedOver then
  return { 'value', current.sealed, current.stamp, current.ends - now }
end
if lease(variant) then return { 'busy' } end
if not known and redis.call('HEXISTS', hash, 'k') == 0 then
  for _, field in ipairs(redis.call('HKEYS', hash)) do
    if string.sub(field, 1, 2) == 'l:' and lease(string.sub(field, 3)) then return { 'busy' } end
  end
end
redis.call('HSET', hash, 'l:' .. variant, (now + leaseMs) .. ':' .. owner)
keepFor(${KEEP_HASH_MS})
return { 'granted', evictedAt(), current and current.stamp or '' }
`)

/** variant, owner, lease ms -> 1, or 0 when the lease is lost. */
export const renewScript = createScript(`${COMMON}
local holder = redis.call('HGET', hash, 'l:' .. ARGV[1])
if not holder or string.match(holder, '^%d+:(.*)$') ~= ARGV[2] then return 0 end
redis.call('HSET', hash, 'l:' .. ARGV[1], (now + ARGV[3]) .. ':' .. ARGV[2])
keepFor(${KEEP_HASH_MS})
return 1
`)

/** variant, owner -> 1, or 0 when it was not the owner's any more. */
export const releaseScript = createScript(`${COMMON}
local holder = redis.call('HGET', hash, 'l:' .. ARGV[1])
if not holder or string.match(holder, '^%d+:(.*)$') ~= ARGV[2] then return 0 end
return redis.call('HDEL', hash, 'l:' .. ARGV[1])
`)

const MOST_FIELDS = 40

const PUT = `
local function put(variant, stamp, sealed, keptFor, keepMs, upstream, workspace)
  redis.call('HSET', hash, 't:' .. variant, (now + keptFor) .. ':' .. stamp .. ':' .. sealed,
    'k', '1')
  if workspace ~= '' then redis.call('HSET', hash, 'w:' .. upstream, workspace) end
  keepFor(keepMs)
  if redis.call('HLEN', hash) <= ${MOST_FIELDS} then return end
  -- A caller who varies tags without end: what has ended goes, and then what ends first.
  local all, first, firstEnds = redis.call('HGETALL', hash), nil, nil
  for i = 1, #all, 2 do
    local kind = string.sub(all[i], 1, 2)
    if (kind == 't:' or kind == 'l:') and not lives(all[i + 1]) then
      redis.call('HDEL', hash, all[i])
    elseif kind == 't:' and all[i] ~= 't:' .. variant then
      local ends = tonumber(string.match(all[i + 1], '^(%d+):'))
      if not firstEnds or ends < firstEnds then first, firstEnds = all[i], ends end
    end
  end
  if first and redis.call('HLEN', hash) > ${MOST_FIELDS} then redis.call('HDEL', hash, first) end
end
`

/**
 * variant, owner, evicted at, current stamp (both as granted), sealed, kept for, keep hash for, upstream, workspace ->
 * 1, or 0 when the customer was evicted meanwhile or somebody else's mint came first.
 * A lease that has just run out does no harm as long as nobody else has taken it.
 */
export const keepScript = createScript(`${COMMON}${PUT}
local variant, owner = ARGV[1], ARGV[2]
local holder, current = lease(variant), token(variant)
local mine = holder == owner or (not holder and (current and current.stamp or '') == ARGV[4])
local kept = mine and evictedAt() == ARGV[3]
if kept then put(variant, owner, ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9]) end
local mark = redis.call('HGET', hash, 'l:' .. variant)
if mark and string.match(mark, '^%d+:(.*)$') == owner then redis.call('HDEL', hash, 'l:' .. variant) end
return kept and 1 or 0
`)

/** How long ago an eviction must be for every replica to have heard of it. */
const HEARD_BY_ALL_MS = 15_000

/**
 * variant, stamp, sealed, kept for, keep hash for, upstream, workspace -> 1, or 0 when there is a token,
 * or a mint in the air, or the customer was evicted lately.
 */
export const seedScript = createScript(`${COMMON}${PUT}
local variant = ARGV[1]
if token(variant) or lease(variant) then return 0 end
local evicted = tonumber(string.match(evictedAt(), '^%d+'))
if evicted and evicted > now - ${HEARD_BY_ALL_MS} then return 0 end
put(variant, ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7])
return 1
`)

/** Leaves the leases, so that nobody mints beside a mint in the air, and what introspection needs. */
export const evictScript = createScript(`${COMMON}
for _, field in ipairs(redis.call('HKEYS', hash)) do
  if field == 'k' or string.sub(field, 1, 2) == 't:' then redis.call('HDEL', hash, field) end
end
redis.call('HSET', hash, 'e', string.format('%.0f', now) .. '.' .. time[2])
keepFor(${KEEP_HASH_MS})
return 1
`)

/**
 * The fleet's epoch changes with every eviction, and each message tells the one before it: who has
 * missed one knows. KEYS[1] is the epoch; a random word, channel, what -> 1
 */
export const announceScript = createScript(`
local time = redis.call('TIME')
local before = redis.call('GET', KEYS[1]) or '-'
local epoch = 'e.' .. time[1] .. '.' .. ARGV[1]
redis.call('SET', KEYS[1], epoch)
redis.call('PUBLISH', ARGV[2], 'evicted ' .. before .. ' ' .. epoch .. ' ' .. ARGV[3])
return 1
`)

/**
 * A Redis that knows of no epoch is given a beginning, which is no eviction. KEYS[1] is the epoch; a random word ->
 * epoch, 1 if it has just begun, whole seconds since the last eviction or -1
 */
export const epochScript = createScript(`
local began = redis.call('SET', KEYS[1], 'i.' .. ARGV[1], 'NX')
local epoch = redis.call('GET', KEYS[1])
local evicted = tonumber(string.match(epoch, '^e%.(%d+)%.'))
return { epoch, began and 1 or 0, evicted and redis.call('TIME')[1] - evicted or -1 }
`)
