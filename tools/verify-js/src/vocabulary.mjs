// The closed word lists of CBV 2.0 and of the GS1 Web Vocabulary that EPCIS 2.0 uses.
const list = (web, urn, words) => ({ web, urn, words: new Set(words.trim().split(/\s+/)) });
const cbv = (web, urn, words) => list(`https://ref.gs1.org/cbv/${web}-`, urn && `urn:epcglobal:cbv:${urn}:`, words);

export const BIZ_STEP = cbv("BizStep", "bizstep", `accepting arriving assembling collecting commissioning consigning
  creating_class_instance cycle_counting decommissioning departing destroying disassembling dispensing encoding
  entering_exiting holding inspecting installing killing loading other packing picking receiving removing repackaging
  repairing replacing reserving retail_selling shipping staging_outbound stock_taking stocking storing transporting
  unloading unpacking void_shipping sensor_reporting sampling`);
export const DISPOSITION = cbv("Disp", "disp", `active container_closed damaged destroyed dispensed disposed encoded expired
  in_progress in_transit inactive no_pedigree_match non_sellable_other partially_dispensed recalled reserved retail_sold
  returned sellable_accessible sellable_not_accessible stolen unknown available completeness_verified
  completeness_inferred conformant container_open mismatch_instance mismatch_class mismatch_quantity needs_replacement
  non_conformant unavailable`);
export const TRANSACTION_TYPE = cbv("BTT", "btt", "bol cert desadv inv pedigree po poc prodorder recadv rma testprd testres upevt");
export const PARTY_TYPE = cbv("SDT", "sdt", "owning_party possessing_party location");
export const ERROR_REASON = cbv("ER", "er", "did_not_occur incorrect_data");
export const COMPONENT = cbv("Comp", null, `x y z axial_distance azimuth height spherical_radius polar_angle elevation_angle
  easting northing latitude longitude altitude`);
export const ALERT = list("https://gs1.org/voc/", null, "ALARM_CONDITION ERROR_CONDITION");
export const MEASUREMENT = list("https://gs1.org/voc/", null, `AbsoluteHumidity AbsorbedDose AbsorbedDoseRate Acceleration
  Radioactivity Altitude AmountOfSubstance AmountOfSubstancePerUnitVolume Angle AngularAcceleration AngularMomentum
  AngularVelocity Area Capacitance Conductance Conductivity Count Density Dimensionless DoseEquivalent
  DoseEquivalentRate DynamicViscosity ElectricCharge ElectricCurrent ElectricCurrentDensity ElectricFieldStrength Energy
  Exposure Force Frequency Illuminance Inductance Irradiance KinematicViscosity Length LinearMomentum Luminance
  LuminousFlux LuminousIntensity MagneticFlux MagneticFluxDensity MagneticVectorPotential Mass MassConcentration
  MassFlowRate MassPerAreaTime MemoryCapacity MolalityOfSolute MolarEnergy MolarMass MolarVolume Power Pressure
  RadiantFlux RadiantIntensity RelativeHumidity Resistance Resistivity SolidAngle SpecificVolume Speed SurfaceDensity
  SurfaceTension Temperature Time Torque Voltage Volume VolumeFlowRate VolumeFraction VolumetricFlux Wavenumber`);

/** The bare word of a standard term; undefined: a term of somebody else's vocabulary; null: bare, or in the standard's own
 * name space, and not in the list. */
export function standardWord(list, term) {
  let word = term;
  if (term.includes(":")) {
    const prefix = [list.web, list.urn].find((p) => p && term.startsWith(p));
    if (!prefix) return undefined;
    word = term.slice(prefix.length);
  }
  return list.words.has(word) ? word : null;
}
