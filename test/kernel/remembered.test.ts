import t from 'tap'
import { REMEMBERED_NAME_LENGTH_MAX, REMEMBERED_NAMES_MAX, Remembered } from '../../src/kernel/remembered.ts'

function counted() {
  const asked: string[] = []
  const lengths = new Remembered((name) => {
    asked.push(name)
    return name.length
  })
  return { asked, lengths }
}

t.test('what is known of a name is found out once, also where it is nothing', async (t) => {
  const { asked, lengths } = counted()
  t.same([lengths.of('host'), lengths.of(''), lengths.of('host'), lengths.of('')], [4, 0, 4, 0])
  t.same(asked, ['host', ''])
})

t.test('names that are no property of an object are names like others', async (t) => {
  const { lengths } = counted()
  t.same([lengths.of('__proto__'), lengths.of('constructor')], [9, 11])
})

t.test('ever new names, and long ones, are answered right and not kept', async (t) => {
  const { asked, lengths } = counted()
  const long = 'x'.repeat(REMEMBERED_NAME_LENGTH_MAX + 1)
  t.same([lengths.of(long), lengths.of(long)], [long.length, long.length])
  t.equal(asked.length, 2, 'a long name is not remembered')
  for (let index = 0; index < REMEMBERED_NAMES_MAX; index += 1) lengths.of(`n${index}`)
  lengths.of('n0')
  t.equal(asked.length, 2 + REMEMBERED_NAMES_MAX, 'as many as there may be are remembered')
  lengths.of('one too many')
  lengths.of('n0')
  t.equal(asked.at(-1), 'n0', 'then all are forgotten')
})
